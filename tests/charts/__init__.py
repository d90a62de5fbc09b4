"""The GitOps tree as Argo CD would render it: charts, values per environment, and what must hold in the result."""
