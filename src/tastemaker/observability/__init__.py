"""What on-call is told: alerts, the figures that rules watch, and who gets them."""
