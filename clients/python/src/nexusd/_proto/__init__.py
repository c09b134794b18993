"""The contract's messages. Private: they may change with every release."""
