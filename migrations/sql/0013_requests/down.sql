DROP TABLE webhook_delivery, webhook_replay, webhook_ended, webhook;
DROP TABLE posting_request_step, posting_request;
