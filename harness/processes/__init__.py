"""Nodes in processes of their own: what they are told, how they are administered, who starts them again."""
