"""The live page of a lab that stays up: connections, ladder and verdicts, as they happen."""
