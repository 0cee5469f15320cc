"""What people read: view models made of judgements, no rendering."""
