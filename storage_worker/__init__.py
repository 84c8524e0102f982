"""The arq worker: finalises uploads and artifacts, removes what is due, sweeps what is orphaned."""
