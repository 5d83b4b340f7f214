"""What a run leaves: the ledger of connections and verdicts, results, JUnit, what the terminal shows."""
