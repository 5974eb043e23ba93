"""The doors: the SOAP back channel and the operations door, on Twisted."""
