"""`headway demo`: the whole line on a real application, five commits, checked by reading the workspace back."""
