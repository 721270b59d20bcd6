"""The demo: fills a workspace with a believable day of mail. Run by `make demo`, beside `make run`.

In charge of traffic that is real (the API, the workers, the inbox and its faults, webhooks) and of
when it seems to have happened. No part of the product; it refuses to touch anything but the
embedded development stack.
"""
