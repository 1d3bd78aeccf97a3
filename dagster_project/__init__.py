"""keizoku: from raw CRM and product-usage extracts to audited customer-success KPI tables."""
