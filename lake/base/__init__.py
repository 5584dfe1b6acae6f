"""What every other part stands on: words of the domain, files and errors.

Belongs here: types without a network protocol of a monitoring system.
Does not: anything that speaks to MongoDB, Prometheus or Loki.
"""
