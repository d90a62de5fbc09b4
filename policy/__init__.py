"""Guard rails: one list of rules, used by the policy pack on real previews and by the tests on the recorded graph."""
