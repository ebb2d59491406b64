"""Social Publisher: publish to Douyin from code, and keep licensed Volcengine content in your own cloud."""
