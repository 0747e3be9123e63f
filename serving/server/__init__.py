"""The project's own server: what TensorFlow Serving does with one model, on a laptop."""
