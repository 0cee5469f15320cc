"""Where data enter and leave: servers, files and stores. Every decision is made elsewhere."""
