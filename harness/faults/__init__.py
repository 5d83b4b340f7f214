"""Faults by name: `kinds` lists them, `board` turns them on and off, the others do them at the interposer's seam."""
