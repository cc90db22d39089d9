"""What happens around every call: counting, injected faults, telling an idle server."""
