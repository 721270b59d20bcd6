"""An environment that production starts with: strong, closed, and encrypted."""

SECRETS = {
    "ADMIN_API_KEY": "GQzAKQ0yjMTM1bZyfOnVuVV0eaN4PpxnFhWcyqNv",
    "OPERATOR_API_KEY": "hR7WkoY2ZbLsd9Uq3EJcTtXg8Nf5mPvA0iQwKzBr",
    "ENCRYPTION_KEY_BASE64": "xDVPmIDgLbRWWJISgv2UlDpt4o0yYSQFB2wNpe/sFGM=",
    "ENCRYPTION_KEYS_OLD": "W+zgC2Ip/VL6vSYQKzHc5bYBSuvqJmJiSJ0xEYjhVZQ=",
    "WEBHOOK_SIGNING_SECRET": "p6UeB1yTnVxKw4MjRz7Zs0HqLdA9cGfY2oXiWtSm",
    "POSTGRES_DSN": "postgresql://maild:4f9a1c07d2be63581e70@db.maild.test/maild?sslmode=verify-full",
    "REDIS_URL": "rediss://:b81e5d3c0a97f2641d6e@redis.maild.test/0",
    "SMTP_PASSWORD": "tN5vQe8wZr1u",
}
PRODUCTION = {
    **SECRETS,
    "APP_ENV": "production",
    "MAILD_HOME": "/nonexistent",
    "PUBLIC_URL": "https://mail.maild.test",
    "WEBHOOKS_ENABLED": "true",
    "SMTP_USERNAME": "maild",
    "SMTP_HOST": "smtp.maild.test",
    "SMTP_PORT": "587",
    "SMTP_SECURITY": "starttls",
    "SMTP_FROM": "maild@maild.test",
    "SMTP_HOSTNAME": "mail.maild.test",
}
