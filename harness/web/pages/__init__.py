"""The pages of each interface, by the names of the product's menus."""
