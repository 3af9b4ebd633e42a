"""A Database: its objects, its instances by Patroni's state, its primary and its status."""
