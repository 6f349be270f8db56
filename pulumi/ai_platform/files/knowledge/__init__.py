"""Documents of a folder or a bucket, kept in step with a collection of Milvus."""
