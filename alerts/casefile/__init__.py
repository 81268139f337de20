"""Case files: an alert with its evidence as a BagIt bag that anyone can check without us."""
