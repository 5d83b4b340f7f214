"""`python -m chat_notifier` is `chat-notifier`."""

from chat_notifier import main

main()
