"""What an account has and allows, held against what a stack's plan would make in it, before anything is made."""
