DROP TABLE account_agreement, agreement;
