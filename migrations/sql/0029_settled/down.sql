DROP TABLE settlement_run;
