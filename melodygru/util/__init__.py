"""What every wing may use: files written whole, wording, settings, standard error."""
