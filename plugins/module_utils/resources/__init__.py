"""What the operator decides and does for each kind of resource."""
