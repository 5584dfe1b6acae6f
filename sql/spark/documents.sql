-- A trend's input `documents` for Spark: the fields that it names
--
-- grain:      one row a document
-- inputs:     {table}, the view of the dataset; {columns}, {from_day}, {to_day}
SELECT day{columns} FROM {table} WHERE day >= {from_day} AND day < {to_day}
