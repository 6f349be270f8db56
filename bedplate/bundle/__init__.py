"""The offline bundle: everything that a site installs, as one folder that its mirror serves as it is."""
