"""What the shop tells the platform: events and items, and adapters that make them from data sets."""
