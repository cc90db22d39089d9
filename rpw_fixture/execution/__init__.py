"""How an action gets executed: scheduling, routing, staging, running and collecting outputs."""
