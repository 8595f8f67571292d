DROP TABLE posting_request_step, posting_request;
