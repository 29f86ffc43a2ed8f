"""Files of tensors, in which weights come: read without running what they hold."""
