"""Tools and resources of longshore's own, merged into what an upstream lists."""
