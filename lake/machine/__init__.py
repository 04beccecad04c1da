"""This machine: processors, memory, and the folder that its processes share."""
