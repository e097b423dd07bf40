"""The routes: the only place that speaks Flask."""
