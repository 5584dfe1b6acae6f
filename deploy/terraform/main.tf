# The bucket as `lake bucket apply` sets it up. Use one of the two: Terraform owns the whole
# lifecycle configuration and the whole policy, so it removes other rules and statements.

locals {
  queried     = toset(["tables", "rollups"])
  overwritten = toset(["tables", "rollups", "manifests", "reports", "guard"])
  snapshots   = toset(["mongo", "prometheus", "loki"])
  suffix      = var.prefix == "" ? "" : ":${var.prefix}"
  kms         = var.kms_key_arn != ""
}

resource "aws_s3_bucket" "lake" {
  bucket              = var.bucket
  object_lock_enabled = var.object_lock

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_public_access_block" "lake" {
  bucket                  = aws_s3_bucket.lake.id
  block_public_acls       = true
  ignore_public_acls      = true
  block_public_policy     = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "lake" {
  bucket = aws_s3_bucket.lake.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "lake" {
  bucket = aws_s3_bucket.lake.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm     = local.kms ? "aws:kms" : "AES256"
      kms_master_key_id = local.kms ? var.kms_key_arn : null
    }
    bucket_key_enabled = local.kms
  }
}

resource "aws_s3_bucket_versioning" "lake" {
  bucket = aws_s3_bucket.lake.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_object_lock_configuration" "lake" {
  count      = var.lock_days > 0 ? 1 : 0
  bucket     = aws_s3_bucket.lake.id
  depends_on = [aws_s3_bucket_versioning.lake]

  rule {
    default_retention {
      mode = var.lock_mode
      days = var.lock_days
    }
  }
}

# No rule expires a current version.
resource "aws_s3_bucket_lifecycle_configuration" "lake" {
  bucket     = aws_s3_bucket.lake.id
  depends_on = [aws_s3_bucket_versioning.lake]

  rule {
    id     = "lake-abort-uploads${local.suffix}"
    status = "Enabled"

    filter {
      prefix = var.prefix
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = var.abort_days
    }
  }

  dynamic "rule" {
    for_each = local.overwritten

    content {
      id     = "lake-noncurrent-${rule.value}${local.suffix}"
      status = "Enabled"

      filter {
        prefix = "${var.prefix}${rule.value}/"
      }

      noncurrent_version_expiration {
        noncurrent_days = var.noncurrent_days
      }

      expiration {
        expired_object_delete_marker = true
      }
    }
  }

  dynamic "rule" {
    for_each = var.snapshots_noncurrent_days > 0 ? local.snapshots : toset([])

    content {
      id     = "lake-noncurrent-${rule.value}${local.suffix}"
      status = "Enabled"

      filter {
        prefix = "${var.prefix}${rule.value}/"
      }

      noncurrent_version_expiration {
        noncurrent_days = var.snapshots_noncurrent_days
      }

      expiration {
        expired_object_delete_marker = true
      }
    }
  }

  dynamic "rule" {
    for_each = var.tables_class == "STANDARD" ? toset([]) : local.queried

    content {
      id     = "lake-move-${rule.value}${local.suffix}"
      status = "Enabled"

      filter {
        and {
          prefix                   = "${var.prefix}${rule.value}/"
          object_size_greater_than = 131072
        }
      }

      transition {
        days          = var.tables_after_days
        storage_class = var.tables_class
      }
    }
  }

  dynamic "rule" {
    for_each = var.snapshots_class == "STANDARD" ? toset([]) : local.snapshots

    content {
      id     = "lake-move-${rule.value}${local.suffix}"
      status = "Enabled"

      filter {
        and {
          prefix                   = "${var.prefix}${rule.value}/"
          object_size_greater_than = 131072
        }
      }

      transition {
        days          = var.snapshots_after_days
        storage_class = var.snapshots_class
      }
    }
  }
}

data "aws_iam_policy_document" "bucket" {
  statement {
    sid       = "LakeTlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.lake.arn, "${aws_s3_bucket.lake.arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }

  dynamic "statement" {
    for_each = var.min_tls == "" ? toset([]) : toset([var.min_tls])

    content {
      sid       = "LakeTlsVersion"
      effect    = "Deny"
      actions   = ["s3:*"]
      resources = [aws_s3_bucket.lake.arn, "${aws_s3_bucket.lake.arn}/*"]

      principals {
        type        = "*"
        identifiers = ["*"]
      }

      condition {
        test     = "NumericLessThan"
        variable = "s3:TlsVersion"
        values   = [statement.value]
      }
    }
  }
}

resource "aws_s3_bucket_policy" "lake" {
  bucket     = aws_s3_bucket.lake.id
  policy     = data.aws_iam_policy_document.bucket.json
  depends_on = [aws_s3_bucket_public_access_block.lake]
}
