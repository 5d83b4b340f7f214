"""Why a peer was refused: `refusals` reads the ledger, `remedies` knows what mends each, `applying` does so."""
