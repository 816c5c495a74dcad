"""Metrics, confidence intervals, plots and the HTML report."""
