"""`longshore up --demo`: an upstream, a configuration and one journey of a file in and a file out."""
