"""The reference manual: made from the rows and from the chapters beside this file."""
