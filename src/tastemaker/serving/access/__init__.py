"""Who may call: API keys, their scopes and rates, where a server may listen, and how much one request may hold."""
