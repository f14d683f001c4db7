"""The rehearsal: the story of four releases on a stack of its own, with simulated shoppers and a simulated on-call."""
