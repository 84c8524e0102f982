"""Files within calls: what comes with one, what one leaves, and what clients read of them."""
