output "root" {
  description = "[lake] root of lake.toml"
  value       = var.prefix == "" ? "s3://${var.bucket}" : "s3://${var.bucket}/${trimsuffix(var.prefix, "/")}"
}

output "writer_policy_arn" {
  description = "For exports, snapshots, the expiry guard, metrics, Dagster"
  value       = aws_iam_policy.writer.arn
}

output "reader_policy_arn" {
  description = "For queries and checks"
  value       = aws_iam_policy.reader.arn
}

output "restorer_policy_arn" {
  description = "For restores and rehearsals, Dagster's included, and snapshots verify"
  value       = aws_iam_policy.restorer.arn
}

output "retention_policy_arn" {
  description = "For deletions, holds and erasures"
  value       = aws_iam_policy.retention.arn
}
