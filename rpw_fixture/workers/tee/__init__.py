"""A tee between a build tool and a worker: passes every byte on, and records what passed."""
