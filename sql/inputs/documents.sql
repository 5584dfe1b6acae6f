-- A trend's input `documents`: the fields that it names
--
-- grain:      one row a document
-- inputs:     {between}, the range macro of the dataset
-- parameters: from_day, to_day
SELECT day{columns}
FROM {between}($from_day, $to_day)
