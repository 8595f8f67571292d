DROP TABLE refused_file_end, refused_file;
