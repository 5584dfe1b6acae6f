# What the variables have to be together, as `[bucket]` of lake.toml has it. `plan` fails where they
# are not: a variable's own validation sees no other variable before Terraform 1.9.

resource "terraform_data" "checks" {
  lifecycle {
    precondition {
      condition     = var.lock_days == 0 || var.object_lock
      error_message = "lock_days needs object_lock = true: without it nothing can be locked."
    }

    precondition {
      condition     = var.tables_class != "STANDARD_IA" || var.tables_after_days >= 30
      error_message = "tables_after_days has to be 30 or more: S3 moves nothing to STANDARD_IA before."
    }

    precondition {
      condition     = var.snapshots_class != "STANDARD_IA" || var.snapshots_after_days >= 30
      error_message = "snapshots_after_days has to be 30 or more: S3 moves nothing to STANDARD_IA before."
    }
  }
}
